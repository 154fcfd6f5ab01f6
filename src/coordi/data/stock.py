"""Whether a shop's words say that something can be bought now."""

from __future__ import annotations

from collections.abc import Iterable

from coordi.style.words import words_of

STOCK_COLUMNS = (
    "instock", "availability", "available", "isavailable", "stockstatus", "stock", "inventory", "quantity", "qty",
    "stockquantity", "stocklevel", "inventoryquantity", "availablequantity",
)  # fmt: skip
"""Names of columns as they are compared; the first that says something known decides."""

_NO_VALUE = frozenset({"", "na", "n a", "none", "null", "nan", "unknown"})
_IN = """
true|yes|y|in stock|instock|available|low stock|limited availability|limitedavailability|in store only|instoreonly|
online only|onlineonly|active|
auf lager|lieferbar|sofort lieferbar|verfügbar|sofort verfügbar|vorrätig|ja|wenige verfügbar|
en stock|disponible|en magasin|oui|en existencia|en existencias|hay existencias|sí|disponibile|in magazzino|sì|
em estoque|em stock|disponível|sim|op voorraad|leverbaar|beschikbaar|i lager|finns i lager|på lager|auf vorrat|
dostępny|w magazynie|na stanie|tak|skladem|varastossa|stokta|stokta var|mevcut|var|evet|в наличии|есть|да|
재고 있음|판매중|판매 중|在庫あり|在庫有り|販売中|有货|现货|有貨|有庫存|متوفر|متاح|उपलब्ध|स्टॉक में
"""
_OUT = """
false|no|n|out of stock|outofstock|sold out|soldout|unavailable|not available|not in stock|discontinued|backorder|
on backorder|onbackorder|back order|preorder|pre order|
ausverkauft|nicht auf lager|nicht lieferbar|nicht verfügbar|nicht vorrätig|vergriffen|vorbestellung|vorbestellbar|nein|
épuisé|épuisée|rupture|rupture de stock|en rupture|en rupture de stock|indisponible|non disponible|précommande|non|
agotado|agotada|sin existencias|sin stock|no disponible|esaurito|esaurita|non disponibile|terminato|
esgotado|esgotada|sem estoque|sem stock|indisponível|não|uitverkocht|niet op voorraad|niet beschikbaar|
slut|slut i lager|slutsåld|udsolgt|utsolgt|ikke på lager|loppu|loppuunmyyty|
wyprzedany|wyprzedane|brak|brak w magazynie|niedostępny|vyprodáno|není skladem|
tükendi|stokta yok|stok yok|yok|hayır|нет|нет в наличии|распродано|под заказ|
품절|재고 없음|일시품절|売り切れ|売切れ|品切れ|在庫なし|在庫切れ|完売|缺货|售罄|无货|缺貨|售完|無庫存|
غير متوفر|نفد|نفذت الكمية|स्टॉक में नहीं|अनुपलब्ध
"""


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(words_of(phrase)) for phrase in text.replace("\n", "").split("|"))


_IN_STOCK, _OUT_OF_STOCK = _phrases(_IN), _phrases(_OUT)


def in_stock(values: Iterable[str]) -> bool | None:
    """Whether the first value that is a quantity or known words says in stock; an order in advance isn't. None if none
    does. An address such as ``https://schema.org/InStock`` counts by its last part.
    """
    for value in values:
        text = " ".join(words_of(value.rpartition("/")[2] if "://" in value else value))
        if text in _NO_VALUE:
            continue
        try:
            return float(value) > 0
        except ValueError:
            pass
        if text in _IN_STOCK or text in _OUT_OF_STOCK:
            return text in _IN_STOCK
    return None
