"""Discord: an app beside the owner, never in their name; drafts to copy, or to post visibly as the app."""
