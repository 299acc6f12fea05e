"""Low levels: who chooses actions on the way to a subgoal."""
