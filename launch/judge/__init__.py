"""All checks together: verdict, results, causes."""
