"""What this process measures, and what all processes of the site report to each other (docs/monitoring.md)."""
