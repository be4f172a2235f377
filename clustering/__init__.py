"""Steps that compute embeddings, group records by them, and find sparse and near records."""
