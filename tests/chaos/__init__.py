"""What happens when everything breaks at random: `make chaos`. See docs/reliability.md, "Chaos"."""
