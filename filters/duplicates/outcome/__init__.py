"""What the steps answer for every record, made from the survivors of the search."""
