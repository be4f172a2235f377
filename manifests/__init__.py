"""The ground floor: the record, media references, part files, the step contract, manifests."""
