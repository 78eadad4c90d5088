"""One bot per platform: nothing but translation between a platform and core's types."""
