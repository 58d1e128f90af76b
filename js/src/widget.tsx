import type { AnyModel, AnyWidget } from "@anywidget/types";
import { render } from "preact";
import { Panel } from "./components/panel";
import { PanelHub } from "./state";
import { AnywidgetTransport } from "./transport";

/** The anywidget adapter: one hub of chats for each model, one tree for each view. */
const widget: AnyWidget = () => {
  let hub: PanelHub | undefined;
  const open = (model: AnyModel) => {
    hub ??= new PanelHub(new AnywidgetTransport(model));
    return hub;
  };
  return {
    initialize({ model }) {
      open(model);
      return () => {
        hub?.dispose();
        hub = undefined;
      };
    },
    render({ model, el }) {
      render(<Panel hub={open(model)} />, el);
      return () => render(null, el);
    },
  };
};

export default widget;
