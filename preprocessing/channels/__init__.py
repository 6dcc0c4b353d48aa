"""Five ways in: what a web form, a mobile app, a chatbot, a phone system or a mail room sends → an application.

names.py, spelling.py  which field and which word is meant    numbers.py, values.py  what a text is worth
collected.py  the application, and where each value came from
webform.py  mobile.py  chatbot.py  phone.py  mail.py     take a payload apart, and put an answer together
"""
