"""The compositions that are started from the command line; the only place that joins the layers."""
