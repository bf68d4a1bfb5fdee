"""The pages about contacts and companies, by subject."""
