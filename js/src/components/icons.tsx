import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="gn-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const SendIcon = () => (
  <Icon>
    <path d="M8 13V3.5M3.8 7.6 8 3.4l4.2 4.2" />
  </Icon>
);

export const StopIcon = () => (
  <Icon>
    <rect class="gn-icon-solid" x="3" y="3" width="10" height="10" rx="2" />
  </Icon>
);

export const ResetIcon = () => (
  <Icon>
    <path d="M13.2 8a5.2 5.2 0 1 1-1.6-3.75M13.4 1.9v2.9h-2.9" />
  </Icon>
);

export const CopyIcon = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 3.2A1.2 1.2 0 0 0 9.3 2.5H4A1.5 1.5 0 0 0 2.5 4v5.3c0 .5.3 1 .7 1.2" />
  </Icon>
);

export const CheckIcon = () => (
  <Icon>
    <path d="m3.2 8.6 3 3 6.6-7" />
  </Icon>
);

export const WarningIcon = () => (
  <Icon>
    <path d="M8 5.6v3.2M8 11.4v.1M7.1 2.6 1.6 12a1 1 0 0 0 .9 1.5h11a1 1 0 0 0 .9-1.5L8.9 2.6a1 1 0 0 0-1.8 0Z" />
  </Icon>
);

export const DownIcon = () => (
  <Icon>
    <path d="M8 3v9.5M3.8 8.4 8 12.6l4.2-4.2" />
  </Icon>
);
