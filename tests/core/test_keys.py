"""The format of API keys, and that a wrong one is refused in the same way whoever it belongs to."""

import hashlib
import hmac
import re

import pytest

from apps.core import keys

PEPPER = b"p" * 32


@pytest.mark.parametrize("prefix", keys.PREFIXES)
def test_a_minted_key_parses_into_its_parts(prefix: str) -> None:
    minted = keys.mint(prefix)

    assert keys.parse(minted.text) == keys.ParsedKey(prefix, minted.key_id, minted.secret)
    assert re.fullmatch(keys.SCANNER_PATTERN, minted.text)
    assert (len(minted.key_id), len(minted.secret)) == (8, 30)


def test_a_key_of_an_unknown_kind_is_not_minted() -> None:
    with pytest.raises(ValueError, match="slw_admin"):
        keys.mint("slw_admin")


def test_every_single_wrong_character_is_noticed() -> None:
    text = keys.mint().text

    for place in range(len(text)):
        for other in "0aZ_":
            if text[place] != other:
                assert keys.parse(text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "slw_live", "slw_live_abc", "Bearer x", "slw_live_" + "a" * 45, "slw_live_äbcdefgh_" + "a" * 36]
)
def test_what_is_not_a_key_is_none(text: str) -> None:
    assert keys.parse(text) is None


def test_a_line_end_after_a_key_is_not_part_of_it() -> None:
    assert keys.parse(keys.mint().text + "\n") is None


def test_the_checksum_is_published_and_stable() -> None:
    assert keys.checksum("slw_live_00000000_" + "0" * 30) == "1vcNQ6"
    assert keys.checksum("") == "000000"


def test_the_digest_is_hmac_sha256() -> None:
    assert keys.digest(PEPPER, "secret") == hmac.new(PEPPER, b"secret", hashlib.sha256).digest()
    assert keys.digest(b"other" * 8, "secret") != keys.digest(PEPPER, "secret")


def test_only_the_right_secret_matches() -> None:
    minted = keys.mint()
    stored = keys.digest(PEPPER, minted.secret)

    assert keys.matches([PEPPER], minted.secret, stored)
    assert not keys.matches([PEPPER], keys.mint().secret, stored)
    assert not keys.matches([b"other" * 8], minted.secret, stored)


def test_secret_made_under_an_earlier_pepper_matches_as_long_as_that_one_is_kept() -> None:
    minted = keys.mint()
    stored = keys.digest(PEPPER, minted.secret)

    assert keys.matches([b"newer" * 8, PEPPER], minted.secret, stored)
    assert not keys.matches([b"newer" * 8], minted.secret, stored)


def test_an_unknown_id_never_matches() -> None:
    assert not keys.matches([PEPPER], "x", None)
    assert not keys.matches([PEPPER], "", None)


def test_ten_thousand_keys_are_all_different() -> None:
    minted = [keys.mint() for _ in range(10_000)]

    assert len({key.key_id for key in minted}) > 9_990
    assert len({key.secret for key in minted}) == 10_000
