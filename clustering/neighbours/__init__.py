"""The search of the step `retrieve`: which records of a pool are nearest to marked records."""
