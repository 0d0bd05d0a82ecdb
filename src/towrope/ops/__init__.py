"""What every program needs and no layer owns: tasks, back-off, logs, certificates, files."""
