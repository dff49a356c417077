"""A shop that sold 50 things in the last hour, as Qasir's API tells it. Prints its port."""

import datetime
import http.server
import json
import urllib.parse

ZONE = datetime.timezone(datetime.timedelta(hours=7))
NOW = datetime.datetime.now(ZONE).replace(microsecond=0)
SALES = [(NOW - datetime.timedelta(seconds=60 * n + 30), n) for n in range(50)]


def sale(at, number):
    return {
        "id": f"S-{number}",
        "total_amount": "25000",
        "transaction_date": at.strftime("%Y-%m-%dT%H:%M:%S"),
        "payment_method": "cash",
        "items": [{"product_name": "Nasi", "qty": "1", "price": "25000"}],
    }


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/outlets":
            body = {"outlets": [{"id": "1", "name": "Warung"}]}
        else:
            def bound(name):
                at = datetime.datetime.fromisoformat(asked[name])
                return at if at.tzinfo else at.replace(tzinfo=ZONE)

            first, last = bound("from_date"), bound("to_date")
            found = [s for s in SALES if first <= s[0] <= last][: int(asked.get("limit", 100))]
            body = {"transactions": [sale(*s) for s in found]}
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
print(server.server_address[1], flush=True)
server.serve_forever()
