"""What TwoKeys exists for, free of Streamlit, httpx and sqlite3: engines and stores are passed in."""
