"""L0 and L1: messages, the search over them, and what is known from them."""
