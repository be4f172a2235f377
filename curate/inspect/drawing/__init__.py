"""Images with their annotations drawn over them."""
