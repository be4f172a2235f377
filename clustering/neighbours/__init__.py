"""The search of the step `retrieve`: what of a pool is nearest to marked records."""
