"""Files as users have them: told by their content, and read so that damage is said."""
