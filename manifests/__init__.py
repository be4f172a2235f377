"""What all other packages import: records, media files, storage, compiled loops, the base classes
of steps, and the manifests of runs."""
