"""Turn pictures and videos, whoever names them, into what the vision tower reads."""
