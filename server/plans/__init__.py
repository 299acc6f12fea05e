"""Plans: subgoal pictures from start to goal."""
