"""Model folders on the Hugging Face Hub."""
