"""Images of records with their annotations drawn on them."""
