"""Caption records, made from columns, from rows, or from samples with files beside an image."""
