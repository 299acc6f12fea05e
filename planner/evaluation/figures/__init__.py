"""What evaluations draw: plans over a scene, curves."""
