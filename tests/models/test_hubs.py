"""Which hub serves a model: the first to answer, only with the right file, and the other stands by."""

import time

import pytest
from gguf_files import tiny_gguf
from hub_server import Fault, HubServer

from twokeys.errors import DownloadFailed
from twokeys.models import catalogue, hubs
from twokeys.models.download import open_client
from twokeys.models.hubs import HuggingFace, ModelScope, Offer

MODEL = catalogue.find("qwen2.5-0.5b:q8_0")  # its checksum is not pinned, so any content will do
FILE = MODEL.parts[0].file
PINNED = catalogue.find("qwen2.5-0.5b")
HF_LISTING = "/tree/main"
MS_LISTING = "/repo/files"


@pytest.fixture(autouse=True)
def content(hub: HubServer) -> None:
    hub.repositories["Qwen/Qwen2.5-0.5B-Instruct-GGUF"] = {FILE: tiny_gguf(), PINNED.parts[0].file: b"x"}


def locate(hub: HubServer, model: catalogue.CatalogueModel = MODEL, **options: float) -> tuple[Offer, ...]:
    both = (HuggingFace(hub.url), ModelScope(hub.url))
    with open_client({}) as client:
        return hubs.locate(client, both, model, **options)


def sources(offers: tuple[Offer, ...]) -> list[str]:
    return [source.name for source in offers[0].sources]


def test_both_hubs_offer_the_same_file_with_size_and_checksum(hub: HubServer) -> None:
    (offer,) = locate(hub)
    assert offer.file == FILE
    assert offer.bytes == len(hub.repositories["Qwen/Qwen2.5-0.5B-Instruct-GGUF"][FILE])
    assert offer.sha256
    assert sorted(sources((offer,))) == ["huggingface", "modelscope"]


@pytest.mark.parametrize(("silent", "first"), [(HF_LISTING, "modelscope"), (MS_LISTING, "huggingface")])
def test_the_hub_that_answers_first_goes_first(hub: HubServer, silent: str, first: str) -> None:
    hub.fault(silent, Fault(delay_s=0.3))
    assert sources(locate(hub))[0] == first


@pytest.mark.parametrize(("down", "other"), [(HF_LISTING, "modelscope"), (MS_LISTING, "huggingface")])
@pytest.mark.parametrize("fault", [Fault(status=503), Fault(html=True), Fault(delay_s=5)])
def test_one_hub_down_leaves_the_other(hub: HubServer, down: str, other: str, fault: Fault) -> None:
    hub.fault(down, fault)
    assert sources(locate(hub, stand_by_within_s=0.2)) == [other]


def test_no_hub_answering_in_time_is_said_before_they_would_have_answered(hub: HubServer) -> None:
    hub.fault(HF_LISTING, Fault(delay_s=5))
    hub.fault(MS_LISTING, Fault(delay_s=5))
    start = time.monotonic()
    with pytest.raises(DownloadFailed):
        locate(hub, answer_within_s=0.5)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("other", [Fault(html=True), Fault(status=503)])
def test_a_login_page_in_place_of_the_listing_is_told_as_one(hub: HubServer, other: Fault) -> None:
    hub.fault(HF_LISTING, Fault(html=True))
    hub.fault(MS_LISTING, other)
    with pytest.raises(DownloadFailed) as caught:
        locate(hub)
    for language, words in (("zh", "网页"), ("en", "a web page")):
        message = caught.value.message(language)
        assert words in message and "127.0.0.1" in message and "?" not in message
    assert ("503" in caught.value.message("en")) == (other.status == 503)


def test_a_file_other_than_the_pinned_one_is_not_offered(hub: HubServer) -> None:
    with pytest.raises(DownloadFailed) as caught:
        locate(hub, PINNED)
    assert "SHA-256" in caught.value.params["reason"]


def test_a_repository_without_the_file_is_not_offered(hub: HubServer) -> None:
    hub.repositories.clear()
    with pytest.raises(DownloadFailed) as caught:
        locate(hub)
    assert "404" in caught.value.params["reason"]
    hub.repositories["Qwen/Qwen2.5-0.5B-Instruct-GGUF"] = {"README.md": b"hello"}
    with pytest.raises(DownloadFailed) as caught:
        locate(hub)
    assert FILE in caught.value.params["reason"]
