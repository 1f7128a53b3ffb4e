// Line icons on a 16 × 16 grid, drawn for this product.

const paths: Record<string, string> = {
  copy: '<rect x="5.5" y="5.5" width="8" height="8" rx="1.8"/><path d="M10.5 3.2A1.7 1.7 0 0 0 9 2.5H4.2a1.7 1.7 0 0 0-1.7 1.7V9a1.7 1.7 0 0 0 .7 1.4"/>',
  check: '<path d="m3 8.5 3.2 3.2L13 4.8"/>',
  edit: '<path d="M9.7 4.2 11.8 6.3M3 13l.6-2.6 7-7a1.5 1.5 0 0 1 2.1 2.1l-7 7L3 13Z"/>',
  delete: '<path d="M2.8 4.3h10.4M6.2 4.2V2.7h3.6v1.5M4.1 4.5l.6 8.1a1 1 0 0 0 1 .9h4.6a1 1 0 0 0 1-.9l.6-8.1M6.7 7v4M9.3 7v4"/>',
  regenerate: '<path d="M13.2 8a5.2 5.2 0 1 1-1.6-3.8"/><path d="M13.3 2.2v2.6h-2.6"/>',
  continue: '<path d="M2.8 8h8.4M7.8 4.4 11.4 8l-3.6 3.6M13.6 3.6v8.8"/>',
  branch: '<circle cx="4.5" cy="3.6" r="1.6"/><circle cx="4.5" cy="12.4" r="1.6"/><circle cx="11.5" cy="5.6" r="1.6"/><path d="M4.5 5.2v5.6M11.5 7.2c0 2.4-2.6 2.4-7 3.4"/>',
  compare: '<rect x="2.4" y="3" width="4.6" height="10" rx="1.2"/><rect x="9" y="3" width="4.6" height="10" rx="1.2"/>',
  heat: '<path d="M6.5 9.3V3.4a1.5 1.5 0 0 1 3 0v5.9a2.9 2.9 0 1 1-3 0Z"/><path d="M8 7v4"/>',
  keep: '<path d="M4.2 2.7h7.6v10.6L8 10.4l-3.8 2.9V2.7Z"/>',
  details: '<circle cx="8" cy="8" r="5.6"/><path d="M8 7.4v3.4M8 5.1v.2"/>',
  previous: '<path d="M9.8 3.8 5.8 8l4 4.2"/>',
  next: '<path d="m6.2 3.8 4 4.2-4 4.2"/>',
  stop: '<rect x="4.2" y="4.2" width="7.6" height="7.6" rx="1.4" fill="currentColor" stroke="none"/>',
  download: '<path d="M8 2.600v7.200M4.800 6.800 8 10l3.200-3.200M3 12.900h10"/>',
  down: '<path d="M8 3v9.4M3.8 8.4 8 12.6l4.2-4.2"/>',
  up: '<path d="M8 13V3.6M3.8 7.6 8 3.4l4.2 4.2"/>',
  cut: '<path d="M2.6 8h2M6.6 8h2M11 4.4v7.2M13.4 4.4v7.2"/>',
  warn: '<path d="M8 2.6 14 13H2L8 2.6Z"/><path d="M8 6.6v3M8 11.2v.1"/>',
  loop: '<path d="M3 9V7.6a2.6 2.6 0 0 1 2.6-2.6h7M10.6 3l2 2-2 2M13 7v1.4a2.6 2.6 0 0 1-2.6 2.6h-7M5.4 13l-2-2 2-2"/>',
  broom: '<path d="M12.8 2.6 8.6 7.4M6.4 6.6l3.4 3.2M6 7c-1 1.4-2 2-3.6 2.4.8 2.4 2.4 3.8 4.8 4.4.8-1.400 1.400-2.400 2.300-3.600"/>',
  file: '<path d="M9.400 2.400H4.600a1 1 0 0 0-1 1v9.200a1 1 0 0 0 1 1h6.800a1 1 0 0 0 1-1V5.400l-3-3Z"/><path d="M9.400 2.400v3h3M5.800 8.400h4.400M5.800 10.800h3"/>',
  chat: '<path d="M3.6 3h8.800a1.400 1.400 0 0 1 1.400 1.400v5.200a1.400 1.400 0 0 1-1.400 1.400H7.200L4.200 13.600V11h-.600a1.400 1.400 0 0 1-1.400-1.400V4.400A1.400 1.400 0 0 1 3.600 3Z"/>',
  speak: '<path d="M2.600 6.200h2.200l3.200-2.800v9.200L4.800 9.800H2.600V6.200ZM10.400 6a2.800 2.800 0 0 1 0 4M12.200 4.200a5.400 5.400 0 0 1 0 7.600"/>',
  mic: '<rect x="5.900" y="2.200" width="4.200" height="7.400" rx="2.100"/><path d="M3.600 7.600a4.400 4.400 0 0 0 8.800 0M8 12v1.900"/>',
  cancel: '<path d="m4.200 4.200 7.600 7.600M11.800 4.200l-7.600 7.600"/>',
}

export function icon(name: string): string {
  return `<svg class="tk-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${paths[name] ?? ""}</svg>`
}
