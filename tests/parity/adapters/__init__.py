"""One module a published system; see `parity.registry` for how to add one. Nothing is listed here: modules are found by themselves."""
