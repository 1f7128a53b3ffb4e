#!/bin/sh
# What the tests need beyond Python: Chromium, fonts that can show Chinese, a Vulkan device in software, and nginx.
# Installs them where it may (Debian or Ubuntu as root, or Playwright's own browser elsewhere) and fails loudly otherwise.
set -eu

find_chromium() {
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && return 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

has_cjk_font() {
    [ "$(uname -s)" = Darwin ] || { command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=zh 2>/dev/null)" ]; }
}

has_software_card() {
    [ "$(uname -sm)" != "Linux x86_64" ] || ls /usr/share/vulkan/icd.d/lvp_icd*.json /usr/local/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | grep -q .
}

has_nginx() {
    command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]
}

if find_chromium && has_cjk_font && has_software_card && has_nginx; then
    exit 0
fi
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq chromium fonts-noto-cjk fonts-noto-color-emoji fontconfig mesa-vulkan-drivers nginx-light openssl >/dev/null
fi
if ! find_chromium; then
    echo "The browser tests need Chromium. Install it (Debian: apt-get install chromium; macOS: Google Chrome)" >&2
    echo "or name it: CHROMIUM=/path/to/chromium make test" >&2
    exit 1
fi
if ! has_cjk_font; then
    echo "The browser tests need a Chinese font. Debian: apt-get install fonts-noto-cjk fonts-noto-color-emoji fontconfig" >&2
    exit 1
fi
if ! has_nginx; then
    echo "The tests of a proxy in front need nginx. Debian: apt-get install nginx-light; macOS: brew install nginx" >&2
    exit 1
fi
if ! has_software_card; then
    echo "The tests of layers on a card need Mesa's software Vulkan device. Debian: apt-get install mesa-vulkan-drivers" >&2
    exit 1
fi
