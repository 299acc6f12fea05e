"""SVG trained as the paper has it."""
