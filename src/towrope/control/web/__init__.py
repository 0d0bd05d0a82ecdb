"""What people see of the issuer: signing in, entering a device's code, signing out.

Plain pages that need no script. What is asked and what a client is answered is the issuer's;
here is who sits at the browser, and that nobody else sends its forms.
"""
