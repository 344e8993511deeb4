"""Names of columns and tables as words, and the words that tell what they are for, in four languages."""

from __future__ import annotations

import re
import unicodedata


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


USER = _set("""
    user customer client member visitor buyer shopper account person
    nutzer benutzer kunde kunden besucher   utilisateur visiteur acheteur   usuario cliente visitante comprador""")
ITEM = _set("""
    item product article sku listing offer ad advert creative movie film video song track book
    artikel produkt produkte angebot   produit annonce   producto articulo anuncio""")
SESSION = _set("session visit request   sitzung sitzungen besuch   visite   visita sesion sesiones")
ORDER = _set("""
    order invoice basket cart receipt transaction   bestellung auftrag rechnung warenkorb
    commande facture panier   pedido factura carrito""")
BIRTH = _set("birth birthday birthdate born dob   geburt geboren geburtstag geburtsdatum   naissance   nacimiento")
CLICK = _set("click clicked   klick geklickt   clic clique cliquee   clicado")
CONVERSION = _set("""
    conversion converted order ordered purchase purchased bought sale sold transaction
    kauf kaeufe gekauft bestellung bestellungen verkauf   achat achete commande vente
    conversiones compra comprado pedido venta""")
LABEL = _set("y label target outcome response   ziel zielwert   cible etiquette   objetivo etiqueta")
ID = _set("id uuid guid key pk fk   nr nummer schluessel   cle   numero clave")
CODE = _set("code zip zipcode postcode postal plz sku ean isbn")
TIME = _set("at time date datetime timestamp ts day   zeit datum uhrzeit   heure   fecha hora")
LATER = _set("""
    duration elapsed outcome result response returned refund refunded chargeback revenue churned after afterwards
    finished completed closed cancelled canceled shipped delivered resolved final
    dauer ergebnis ausgang antwort rueckgabe retoure erstattung erstattet abgeschlossen beendet geliefert danach
    duree resultat reponse retour remboursement rembourse apres termine livre
    duracion resultado respuesta devolucion reembolso despues terminado entregado""")
"""Words for what is known only when all is over."""
EARLIER = _set("""
    previous prev prior past earlier before last former history historical usual average avg expected planned
    scheduled estimated
    vorherig vorherige vorheriger vorige voriger letzte letzter letztes frueher bisher geplant erwartet
    precedent precedente dernier derniere anterieur anterieure prevu
    anterior ultimo ultima previo previa previsto""")
"""Words for what was there before, whatever else a name says."""
CHANGED = _set("updated modified changed geaendert aktualisiert modifie modificado actualizado")
WEIGHT = frozenset({"sample weight", "row weight", "case weight"})

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name, small and without accents: "itemId" and "item_id" are item, id."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", unicodedata.normalize("NFC", name)).casefold()
    folded = unicodedata.normalize("NFKD", spaced.translate(_UMLAUTS))
    return tuple(re.findall(r"[^\W_]+", "".join(c for c in folded if not unicodedata.combining(c))))


def says(name: str, vocabulary: frozenset[str]) -> bool:
    """Whether one of the name's words, or its singular, is in the vocabulary."""
    return any(word in vocabulary or word.removesuffix("s") in vocabulary for word in words(name))


def said(name: str, vocabulary: frozenset[str]) -> str:
    """Return the first of the name's words that is in the vocabulary, itself or its singular; else an empty text."""
    found = (word for word in words(name) if word in vocabulary or word.removesuffix("s") in vocabulary)
    return next(found, "")


def is_id(name: str) -> bool:
    """Whether a name reads like that of an identifier: user_id, userId, userid, id."""
    found = words(name)
    return bool(found) and (found[-1] in ID or bool(joined_id(found[-1])))


def joined_id(word: str) -> str:
    """Return what comes before "id" in a word such as userid, if that is a known word; else an empty text."""
    stem = word.removesuffix("id")
    return stem if stem != word and stem in USER | ITEM | SESSION else ""


def names_one_of(name: str, vocabulary: frozenset[str]) -> bool:
    """Whether an identifier's name says what it identifies: user_id and userid name one of USER."""
    return says(name, vocabulary) or any(joined_id(word) in vocabulary for word in words(name) if joined_id(word))
