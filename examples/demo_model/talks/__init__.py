"""Talks: free tools and their results, several calls, several turns, and questions out of the domain."""
