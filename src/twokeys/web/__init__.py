"""The web server: Streamlit as an ASGI app, our routes beside it, and the guard before both."""
