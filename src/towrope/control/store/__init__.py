"""What the control plane remembers: tables, queries by noun, migrations.

The only folder that knows SQLAlchemy's query language. Each query takes the transaction it runs in.
"""
