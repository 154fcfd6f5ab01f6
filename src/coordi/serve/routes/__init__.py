"""The routes of the API and the page, a module for each subject."""
