"""The Kalman model against its baseline on cannonballs."""
