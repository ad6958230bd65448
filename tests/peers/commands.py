"""The common commands by python-escpos, a JSON object of hexadecimal strings."""

import json

from escpos.printer import Dummy


def said(act):
    printer = Dummy()
    act(printer)
    return printer.output.hex()


def qr(printer):
    printer.qr("https://example.com/01/06901234567892", native=True, size=6, ec=1)


print(
    json.dumps(
        {
            "init": said(lambda p: p.hw("INIT")),
            "bold": said(lambda p: p.set(bold=True)),
            "cut": said(lambda p: p.cut()),
            "drawer_2": said(lambda p: p.cashdraw(2)),
            "drawer_5": said(lambda p: p.cashdraw(5)),
            "qr": said(qr),
            "ean13": said(lambda p: p.barcode("6901234567892", "EAN13", height=80, width=2, pos="BELOW", font="A", function_type="B")),
            "text": said(lambda p: p.textln("TOTAL 14.35")),
        }
    )
)
