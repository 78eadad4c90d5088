"""What an adapter is worth, measured on people of public history files."""
