interface Props {
  text: string;
  streaming: boolean;
  raw: boolean;
}

/** What the model said. */
export function ReplyText({ text }: Props) {
  return (
    <div class="gn-text" dir="auto">
      {text}
    </div>
  );
}
