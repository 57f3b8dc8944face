import { edgeGateway } from "millrace/gateway/edge";
import { shipped } from "millrace/workflows";

const { MillraceGateway, worker } = edgeGateway({ workflows: shipped });

export { MillraceGateway };
export default worker;
