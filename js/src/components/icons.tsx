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

export const PlusIcon = () => (
  <Icon>
    <path d="M8 3v10M3 8h10" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
);

export const GearIcon = () => (
  <Icon>
    <path d="M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6" />
    <circle cx="10" cy="4.5" r="1.8" />
    <circle cx="6" cy="11.5" r="1.8" />
  </Icon>
);

export const HoodIcon = () => (
  <Icon>
    <path d="M2 4h6M5 8h7M9 12h5" />
    <path d="M2 2.5v3M8 2.5v3M5 6.5v3M12 6.5v3M9 10.5v3" />
  </Icon>
);

export const ExportIcon = () => (
  <Icon>
    <path d="M8 2.5v7.2M4.9 6.8 8 9.9l3.1-3.1M2.8 11v2.2h10.4V11" />
  </Icon>
);

export const KeyboardIcon = () => (
  <Icon>
    <rect x="1.5" y="4" width="13" height="8.5" rx="1.5" />
    <path d="M4 6.8h.1M7 6.8h.1M10 6.8h.1M12.2 6.8h.1M5 9.8h6" />
  </Icon>
);

export const RetryIcon = () => (
  <Icon>
    <path d="M2.8 8a5.2 5.2 0 0 1 9-3.6M13.2 8a5.2 5.2 0 0 1-9 3.6M12 1.8v2.9H9.1M4 14.2v-2.9h2.9" />
  </Icon>
);

export const UndoIcon = () => (
  <Icon>
    <path d="M5.6 3 2.8 5.8l2.8 2.8M3 5.8h6.2a3.6 3.6 0 0 1 0 7.2H6" />
  </Icon>
);

export const PencilIcon = () => (
  <Icon>
    <path d="m10.4 3.2 2.4 2.4-7 7-3 .6.6-3zM9 4.6 11.4 7" />
  </Icon>
);

export const RawIcon = () => (
  <Icon>
    <path d="m5.5 4.5-3.5 3.5 3.5 3.5M10.5 4.5l3.5 3.5-3.5 3.5" />
  </Icon>
);

export const ToolIcon = () => (
  <Icon>
    <path d="M13.6 4.6a3.4 3.4 0 0 1-4.4 4.3l-4.6 4.6a1.5 1.5 0 0 1-2.1-2.1l4.6-4.6a3.4 3.4 0 0 1 4.3-4.4L9.3 4.5l.4 1.8 1.8.4z" />
  </Icon>
);

export const ClipIcon = () => (
  <Icon>
    <path d="m12.6 7.6-4.8 4.8a3.1 3.1 0 0 1-4.4-4.4l5.2-5.2a2.1 2.1 0 0 1 3 3l-5.2 5.2a1 1 0 0 1-1.5-1.5l4.4-4.4" />
  </Icon>
);

export const ChevronLeftIcon = () => (
  <Icon>
    <path class="gn-mirror" d="M10 3.5 5.5 8l4.5 4.5" />
  </Icon>
);

export const ChevronRightIcon = () => (
  <Icon>
    <path class="gn-mirror" d="M6 3.5 10.5 8 6 12.5" />
  </Icon>
);
