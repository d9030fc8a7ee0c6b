"""Asking a teacher model for the traces of real images (section 3.2.1); `chexreason.traces` reads them."""
