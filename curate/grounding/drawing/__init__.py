"""Pictures with what is annotated drawn on them."""
