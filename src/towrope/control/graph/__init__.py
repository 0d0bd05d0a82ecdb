"""The directory's API under `/v1.0/`, in Microsoft Graph's shapes: users, groups, applications.

What it does not support is refused, never ignored: a filter, an option or a property that Graph has
and this directory has not is a 400 that names it.
"""
