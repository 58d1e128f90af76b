import { useEffect, useRef, useState } from "preact/hooks";
import type { FileInfo } from "../protocol";
import type { Attached } from "../state";
import { ClipIcon, CloseIcon } from "./icons";

interface ButtonProps {
  modalities: readonly string[];
  attach: (files: readonly File[]) => void;
}

/** Picks files; disabled, with the reason, for models that read text only. */
export function AttachButton({ modalities, attach }: ButtonProps) {
  const picker = useRef<HTMLInputElement>(null);
  const accept = [
    ...(modalities.includes("vision") ? ["image/*"] : []),
    ...(modalities.includes("audio") ? ["audio/*"] : []),
  ].join();
  const why =
    accept === "" ? "This model reads text only: it takes neither images nor sound." : null;
  return (
    <>
      <button
        type="button"
        class="gn-button gn-button-quiet gn-attach"
        aria-label="Attach files"
        aria-disabled={why !== null}
        title={why ?? "Attach images or sound (or paste, or drop them here)"}
        onClick={() => why === null && picker.current?.click()}
      >
        <ClipIcon />
      </button>
      <input
        ref={picker}
        type="file"
        hidden
        multiple
        accept={accept}
        aria-label="Files to attach"
        onChange={(event) => {
          attach([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
    </>
  );
}

/** The files that will go with the next prompt. */
export function Attachments({
  files,
  remove,
}: {
  files: readonly Attached[];
  remove: (file: Attached) => void;
}) {
  if (files.length === 0) return null;
  return (
    <ul class="gn-files" aria-label="Attached files">
      {files.map((file, i) => (
        <li key={i} class="gn-file">
          {file.type.startsWith("image/") && <Thumbnail file={file} />}
          <FileName name={file.name} size={file.data.byteLength} />
          <button
            type="button"
            class="gn-button gn-button-quiet"
            aria-label={`Remove ${file.name}`}
            onClick={() => remove(file)}
          >
            <CloseIcon />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** The files that went with a prompt, by name. */
export function SentFiles({ files }: { files: readonly FileInfo[] }) {
  return (
    <ul class="gn-files" aria-label="Attached files">
      {files.map((file, i) => (
        <li key={i} class="gn-file">
          <ClipIcon />
          <FileName name={file.name} size={file.size} />
        </li>
      ))}
    </ul>
  );
}

function FileName({ name, size }: { name: string; size: number }) {
  const kilobytes = Math.max(1, Math.round(size / 1024)).toLocaleString("en");
  return (
    <span class="gn-file-name" dir="auto" title={`${name}, ${kilobytes} kB`}>
      {name}
    </span>
  );
}

function Thumbnail({ file }: { file: Attached }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([file.data], { type: file.type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url === undefined ? null : <img src={url} alt="" width={24} height={24} />;
}
