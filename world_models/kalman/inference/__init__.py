"""From pictures to latent positions (Chiappa and Paquet 2019, section 2.2.1)."""
